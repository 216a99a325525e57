"""The sample is a project to look at; its own tests are not run."""

collect_ignore = ["sample"]
