"""Figures that several studies draw: functions from numbers to a matplotlib Figure."""
