"""Uploads a file with the unmodified tuspy, as one JSON argument says, and prints what came of it.

{endpoint, token, file, sha256, mime, chunk, checksum?, urls?, stop_at?}
"""

import json
import sys

from tusclient import client
from tusclient.exceptions import TusCommunicationError
from tusclient.storage import filestorage

wanted = json.loads(sys.argv[1])
storage = filestorage.FileStorage(wanted["urls"]) if "urls" in wanted else None
uploads = client.TusClient(wanted["endpoint"], headers={"authorization": "Bearer " + wanted["token"]})
try:
    upload = uploads.uploader(
        wanted["file"],
        chunk_size=wanted["chunk"],
        metadata={"sha256": wanted["sha256"], "mime": wanted["mime"]},
        retries=20,
        retry_delay=0.1,
        store_url=storage is not None,
        url_storage=storage,
        upload_checksum=wanted.get("checksum", False),
    )
    resumed_at = upload.offset
    upload.upload(stop_at=wanted.get("stop_at"))
    print(json.dumps({"url": upload.url, "resumed_at": resumed_at, "offset": upload.offset}))
except TusCommunicationError as failed:
    print(json.dumps({"failed": str(failed), "status": failed.status_code}))
    sys.exit(1)
finally:
    if storage is not None:
        storage.close()
