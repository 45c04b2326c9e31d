from flask import Blueprint

pages = Blueprint("auditor", __name__, url_prefix="/auditor")
