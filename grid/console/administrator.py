from flask import Blueprint

pages = Blueprint("administrator", __name__, url_prefix="/administrator")
