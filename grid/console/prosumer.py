from flask import Blueprint

pages = Blueprint("prosumer", __name__, url_prefix="/prosumer")
