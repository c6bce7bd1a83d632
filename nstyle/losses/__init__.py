"""The objective: its terms, and the gradient that the descent follows."""
