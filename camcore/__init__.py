"""The CAM engine: networks, taps, methods, views, fusion. No data sets and no metrics live here."""
