"""What training minimises: one file a loss. Each takes what a network gave and the truth, and gives one number."""
