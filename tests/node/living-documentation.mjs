// Renders Cucumber Messages (a file with one JSON object a line) as the official HTML report, on stdout.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { CucumberHtmlStream } from '@cucumber/html-formatter'

async function* messages(path) {
  for await (const line of createInterface({ input: createReadStream(path, 'utf-8') })) {
    yield JSON.parse(line)
  }
}

await pipeline(Readable.from(messages(process.argv[2])), new CucumberHtmlStream(), process.stdout)
