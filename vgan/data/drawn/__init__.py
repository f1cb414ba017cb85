"""The built-in scenes, one module per category; each draws a plate and a moving layer."""
