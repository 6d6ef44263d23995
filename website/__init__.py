"""What the site needs beyond MkDocs: mathematics, links into the sources, docstrings, notebooks."""
