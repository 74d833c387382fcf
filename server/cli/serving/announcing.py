"""What a person reads on the screen once calls are answered."""

from rich.console import Console

from server.settings import Settings


def announce(configured: Settings, ports: tuple[int, int], password: str | None, seconds: float, by: str = "") -> None:
    """Tells what to do next; the first time, with the admin's password and three calls to paste.

    `ports` are gRPC's and HTTP's, and `by` says who serves, where that is not one process.
    """
    console = Console(stderr=False, highlight=False, soft_wrap=True)
    grpc_port, http_port = ports
    address = f"{configured.grpc_address.host}:{grpc_port}"
    console.print(
        f"[bold green]Backroom serves[/] gRPC on [bold]{address}[/] and HTTP on"
        f" [bold]{configured.http_address.host}:{http_port}[/]{by}, after {seconds:.1f} s. Ctrl-C stops it."
    )
    if password is not None and configured.tls_certificate is None:
        console.print(_first_words(address, configured, password), markup=False)


def _first_words(address: str, configured: Settings, password: str) -> str:
    from server.cli.admin import FIRST_ADMIN  # late: whoever made an admin has imported it, and others do without

    credentials = f'{{"email":"{FIRST_ADMIN}","password":"{password}"}}'
    login = "backroom.identity.v1.IdentityService/Login"
    me = "backroom.identity.v1.IdentityService/GetMe"
    products = "backroom.commerce.v1.CatalogService/ListProducts"
    pick = """sed -n 's/.*"accessToken": *"\\([^"]*\\)".*/\\1/p'"""
    bearer = '-H "authorization: Bearer $TOKEN"'
    curl = ".venv/bin/buf curl --reflect --http2-prior-knowledge --protocol grpc"
    return f"""
An admin was made, and is kept in {configured.data_dir}/admin.json:

  email     {FIRST_ADMIN}
  password  {password}

Three calls to paste, with grpcurl:

  TOKEN=$(grpcurl -plaintext -d '{credentials}' {address} {login} | {pick})
  grpcurl -plaintext {bearer} {address} {me}
  grpcurl -plaintext {bearer} -d '{{"page_size":5}}' {address} {products}

The same with buf:

  TOKEN=$({curl} -d '{credentials}' http://{address}/{login} | {pick})
  {curl} {bearer} http://{address}/{me}
  {curl} {bearer} -d '{{"page_size":5}}' http://{address}/{products}

`make demo` in another terminal replays one real day of a real shop.
"""
