// Uploads a file with the unmodified tus-js-client, as one JSON argument says, and prints what came of it.
//
// {endpoint, token, file, sha256, mime, chunk?, during_creation?, urls?, leave_after?, terminate?}

const fs = require('fs')
const tus = require('tus-js-client')

const wanted = JSON.parse(process.argv[2])
const say = (what) => {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}

const upload = new tus.Upload(fs.createReadStream(wanted.file), {
  endpoint: wanted.endpoint,
  headers: { authorization: `Bearer ${wanted.token}` },
  metadata: { sha256: wanted.sha256, filetype: wanted.mime, filename: 'photo' },
  chunkSize: wanted.chunk ?? Number.POSITIVE_INFINITY,
  uploadDataDuringCreation: wanted.during_creation ?? false,
  retryDelays: [50, 100, 200, 400, 800, 1600],
  storeFingerprintForResuming: wanted.urls !== undefined,
  urlStorage: wanted.urls === undefined ? undefined : new tus.FileUrlStorage(wanted.urls),
  fingerprint: async () => wanted.sha256,
  onProgress: (sent) => {
    if (wanted.leave_after !== undefined && sent >= wanted.leave_after) {
      say({ left: sent })
      process.exit(0)
    }
  },
  onError: (error) => {
    say({ failed: String(error), status: error.originalResponse?.getStatus() })
    process.exit(1)
  },
  onSuccess: async () => {
    say({ url: upload.url })
    process.exit(0)
  },
})

const begin = async () => {
  if (wanted.terminate) {
    await tus.Upload.terminate(wanted.terminate, { headers: { authorization: `Bearer ${wanted.token}` } })
    say({ terminated: true })
    process.exit(0)
  }
  if (wanted.urls !== undefined) {
    const [previous] = await upload.findPreviousUploads()
    if (previous) upload.resumeFromPreviousUpload(previous)
  }
  upload.start()
}

begin()
