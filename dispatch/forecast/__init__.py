"""Forecasts of load, solar and wind with quantiles, from their own past."""

from dispatch.forecast.model import QUANTILES, ForecastModel
from dispatch.forecast.predict import predict
from dispatch.forecast.train import train

__all__ = ["QUANTILES", "ForecastModel", "predict", "train"]
