"""What the tests of the settings are told of files."""

from tests.cli.settings_rows import Row

ROWS = {
    "BACKROOM_FILES_STORAGE": Row("s3://bucket/prefix/", read="s3://bucket/prefix", malformed=("s3://", "ftp://a/b")),
    "BACKROOM_FILES_S3_ENDPOINT": Row(
        "https://minio.internal:9000/", read="https://minio.internal:9000", malformed=("minio:9000", "ftp://a")
    ),
    "BACKROOM_FILES_S3_REGION": Row("eu-central-1"),
    "BACKROOM_FILES_S3_ACCESS_KEY": Row("AKIAEXAMPLE"),
    "BACKROOM_FILES_S3_SECRET_KEY": Row("hunter2"),
    "BACKROOM_FILES_LARGEST_BYTES": Row("1000", malformed=("0", "1 GB", str(2**36 + 1))),
    "BACKROOM_FILES_QUOTA_BYTES": Row("0", malformed=("-1", "much")),
    "BACKROOM_FILES_LARGE_QUOTA_BYTES": Row("5", malformed=("-1", "much")),
    "BACKROOM_FILES_UPLOAD_HOURS": Row("2", malformed=("0", "8761")),
    "BACKROOM_FILES_SERVE_UNSCANNABLE": Row("true", read="True", malformed=("perhaps",)),
    "BACKROOM_FILES_SCANNER": Row(
        "clamd:/run/clamav/clamd.ctl", malformed=("clam", "None", "clamd:relative", "clamd:host")
    ),
    "BACKROOM_FILES_SCANNER_MAX_BYTES": Row("1000", malformed=("0", str(2**31))),
    "BACKROOM_FILES_CORS_ORIGINS": Row(
        "https://a.example, http://b:80",
        read="('https://a.example', 'http://b:80')",
        malformed=("https://a/", "*", "null"),
    ),
    "BACKROOM_FILES_REDIRECT": Row("true", read="True", malformed=("perhaps",)),
}
