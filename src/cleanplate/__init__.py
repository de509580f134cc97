"""cleanplate: takes visible watermarks off folders of photographs."""

__version__ = "0.1.0"
