"""Who asks. Its doors: `gate.Authentication`, the layer in front of the routes, and `gate.CurrentUser`."""
