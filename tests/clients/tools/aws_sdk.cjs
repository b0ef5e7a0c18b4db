const fs = require('node:fs')
const { pipeline } = require('node:stream/promises')
const { GetObjectCommand, HeadObjectCommand, S3Client } = require('@aws-sdk/client-s3')
const { getSignedUrl } = require('@aws-sdk/s3-request-presigner')

const { BUCKET: Bucket, GATEWAY, KEY: Key, FILE } = process.env
const s3 = new S3Client({ endpoint: `http://${GATEWAY}`, region: 'us-east-1' })

const operations = {
  async GetObject() {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }))
    await pipeline(Body, fs.createWriteStream(FILE))
  },
  async 'GetObject, Range'() {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, Range: 'bytes=100-299' }))
    await pipeline(Body, fs.createWriteStream(FILE))
  },
  async HeadObject() {
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key }))
    if (!head.LastModified || !head.ETag) throw new Error(JSON.stringify(head))
    fs.writeFileSync(FILE, String(head.ContentLength))
  },
  async 'getSignedUrl, then fetch'() {
    const answer = await fetch(await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key })))
    if (!answer.ok) throw new Error(await answer.text())
    fs.writeFileSync(FILE, Buffer.from(await answer.arrayBuffer()))
  },
}

operations[process.argv[2]]()
