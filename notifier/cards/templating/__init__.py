"""How card templates are loaded, compiled and run, and how their faults are described."""
