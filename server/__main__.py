from server.cli.app import main

main()
