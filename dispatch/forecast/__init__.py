"""Forecasts of load, solar and wind with quantiles, from their past and weather, and scenarios."""

from dispatch.forecast.model import QUANTILES, ForecastModel
from dispatch.forecast.predict import predict
from dispatch.forecast.scenarios import scenarios
from dispatch.forecast.train import train

__all__ = ["QUANTILES", "ForecastModel", "predict", "scenarios", "train"]
