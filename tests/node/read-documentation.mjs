// Reads /docs and /redoc in Chromium as a developer does, and tries the API out, while every other host is out of reach.
// Usage: node read-documentation.mjs ADDRESS USER FOLDER-FOR-PICTURES, with the user's token on standard input; prints
// what it found as JSON; what is there to be judged is the test's business, and not done here.
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { launched } from './chromium.mjs'

const [address, user, folder] = process.argv.slice(2)
const token = readFileSync(0, 'utf8').trim()
const { hostname, origin } = new URL(address)

async function open(browser, path) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage()
  const told = { console: [], elsewhere: [] }
  page.on('console', (said) => ['error', 'warning'].includes(said.type()) && told.console.push(said.text()))
  page.on('pageerror', (error) => told.console.push(`the page fails: ${error.message}`))
  const elsewhere = (asked, end) => new URL(asked.url()).origin !== origin && told.elsewhere.push(`${asked.url()} ${end}`)
  page.on('requestfinished', (asked) => elsewhere(asked, 'was reached'))
  page.on('requestfailed', (asked) => elsewhere(asked, asked.failure().errorText))
  await page.goto(origin + path)
  return [page, told]
}

// a picture is kept, and a token is not to be
const picture = (page, name) => page.screenshot({
  path: join(folder, `${name}.png`),
  mask: [page.locator('.auth-container input'), page.locator('.curl-command')],
  maskColor: '#888',
})
const texts = async (places) => (await places.allTextContents()).map((one) => one.replaceAll('\u200b', '').trim())

async function tryOut(page, operation) {
  const block = page.locator(`#operations-tasks-${operation}`)
  await block.locator('.opblock-summary-control').click()
  await block.locator('.try-out__btn').click()
  await block.locator('tr[data-param-name=user_id] input').fill(user)
  await block.locator('button.execute').click()
  const answer = block.locator('.live-responses-table tbody .response')
  const status = await answer.locator('.response-col_status').first().innerText()
  const body = await answer.locator('.highlight-code code').first().innerText()
  await block.locator('.live-responses-table').scrollIntoViewIfNeeded()
  await picture(page, `docs-${operation}`)
  await block.locator('.opblock-summary-control').click()
  return { status: Number.parseInt(status), body: JSON.parse(body) }
}

async function readDocs(browser) {
  const [page, told] = await open(browser, '/docs')
  await page.locator('.opblock').first().waitFor()
  await page.locator('.json-schema-2020-12__title').first().waitFor()
  await picture(page, 'docs')
  told.operations = await texts(page.locator('.opblock:has(.authorization__btn) .opblock-summary-description'))
  told.schemas = await texts(page.locator('.models .json-schema-2020-12__title'))
  await page.locator('button.authorize').click()
  await page.locator('.auth-container input').fill(token)
  await picture(page, 'docs-authorize')
  await page.locator('.auth-container button.authorize').click()
  await page.locator('.auth-container button.btn-done').click()
  told.created = await tryOut(page, 'create_task')
  told.listed = await tryOut(page, 'list_tasks')
  return told
}

async function readRedoc(browser) {
  const [page, told] = await open(browser, '/redoc')
  await page.locator('[data-section-id^="tag/tasks/operation/"]').first().waitFor()
  await page.waitForLoadState('networkidle')
  await picture(page, 'redoc')
  told.operations = await texts(page.locator('[data-section-id^="tag/tasks/operation/"]:has-text("Authorizations:") h2'))
  told.schemas = await texts(page.locator('[data-section-id^="schema/"] h2'))
  await page.locator('[data-section-id="tag/tasks/operation/patch_task"]').scrollIntoViewIfNeeded()
  await picture(page, 'redoc-patch_task')
  await page.locator('[data-section-id="schema/TaskCreate"]').scrollIntoViewIfNeeded()
  await picture(page, 'redoc-schemas')
  return told
}

mkdirSync(folder, { recursive: true })
const browser = await launched([`--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE ${hostname}`])
const found = { docs: await readDocs(browser), redoc: await readRedoc(browser) }
await browser.close()
console.log(JSON.stringify(found))
