"""The pages of `paceline report`: how an athlete has trained, and how the pipeline has run."""
