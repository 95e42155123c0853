// Renders Cucumber Messages (a file with one JSON object a line) as the official HTML report, on stdout.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { CucumberHtmlStream } from '@cucumber/html-formatter'

// The report sorts features by path. A number before each name keeps the order in which they come.
const names = new Map()
function numbered(uri) {
  const [root, ...parts] = uri.split('/')
  let parent = root
  const shown = parts.map((name) => {
    if (!names.has(parent)) names.set(parent, [])
    const siblings = names.get(parent)
    if (!siblings.includes(name)) siblings.push(name)
    parent += `/${name}`
    return `${String(siblings.indexOf(name) + 1).padStart(2, '0')} ${name}`
  })
  return [root, ...shown].join('/')
}

async function* messages(path) {
  for await (const line of createInterface({ input: createReadStream(path, 'utf-8') })) {
    const message = JSON.parse(line)
    const named = message.source ?? message.gherkinDocument ?? message.pickle
    if (named) named.uri = numbered(named.uri)
    yield message
  }
}

await pipeline(Readable.from(messages(process.argv[2])), new CucumberHtmlStream(), process.stdout)
