"""One file a stage, all alike: built once from a Job in its worker, then `run(task)` again and again.

A stage first looks whether its output exists; it writes it atomically under a key that names all its inputs; it
returns a small result. It knows nothing of Ray, pools or other stages.
"""
