// Registers the standard layers.
