"""What tests are judged by: comparisons, wrong answers they must reject, and drawn inputs."""
