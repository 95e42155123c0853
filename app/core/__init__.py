"""What any FastAPI service on PostgreSQL behind Better Auth needs; it does not know the product.

It has five rooms, which are its packages: `server`, `http`, `observability`, `auth`, `database`.
A room imports from those behind it in this order (`auth` and `database` not from each other), and
from the modules that all rooms share: `settings`, `errors`, `limits`, `deadline`, `exchange` and
`printable`. Above them are `development` and `embedded`, which production does without. A room's
doors are the names by which requests pass it; its docstring says which. tests/test_layers.py holds
the order.

`R-nn` in a docstring or a comment is a ruling: features/catalogue.toml has them, under [rulings].
"""
