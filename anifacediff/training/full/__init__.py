"""Training the assemblies at any size, on prepared videos, on one device or many."""
