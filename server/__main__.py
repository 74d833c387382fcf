from server.cli.begin import main

main()
