"""What a running process shows of itself to other programs: figures for Prometheus, traces for OpenTelemetry."""
