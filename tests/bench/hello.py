"""The yardstick: FastAPI's hello world behind a bearer token, as its documentation writes it."""

import os
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

SECRET = os.environ["BETTER_AUTH_SECRET"]
app = FastAPI()


async def user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    """Decode the token."""
    try:
        claims = jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"], options={"require": ["exp"]})
    except jwt.PyJWTError:
        raise HTTPException(401) from None
    return str(claims["sub"])


@app.get("/hello")
async def hello(user: Annotated[str, Depends(user)]) -> dict[str, str]:
    """Greet."""
    return {"hello": user}
