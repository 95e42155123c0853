// Chromium as the machine has it: playwright-core brings none.
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

import { chromium } from 'playwright-core'

function chromiumOnPath() {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const place of process.env.PATH.split(delimiter)) {
      try {
        accessSync(join(place, name), constants.X_OK)
        return join(place, name)
      } catch {
        // not there
      }
    }
  }
  throw new Error('Chromium is missing: install it (on Debian: apt-get install chromium)')
}

// a browser that asks for nothing by itself
export function launched(more = []) {
  return chromium.launch({
    executablePath: chromiumOnPath(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', ...more],
  })
}
