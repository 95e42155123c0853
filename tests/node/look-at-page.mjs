// Opens the living documentation from the disk in Chromium, as a stakeholder does, at two widths and without a network.
// Usage: node look-at-page.mjs PAGE FOLDER-FOR-PICTURES; prints what is wrong, and then exits with 1.
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { launched } from './chromium.mjs'

const WIDTHS = [1280, 390]
const [path, folder] = process.argv.slice(2)
const address = pathToFileURL(resolve(path)).href
const wrong = []

// what the page's own data say that a query of tags must show: the names of the scenarios as they are written
function expected(query) {
  const named = new Map()
  const walk = (children) => children.forEach((child) => {
    if (child.scenario) named.set(child.scenario.id, child.scenario.name)
    if (child.rule) walk(child.rule.children)
  })
  window.CUCUMBER_MESSAGES.forEach((one) => one.gherkinDocument?.feature && walk(one.gherkinDocument.feature.children))
  const tags = query.split(' and ')
  const pickles = window.CUCUMBER_MESSAGES.flatMap((one) => one.pickle ?? [])
  const fitting = pickles.filter((one) => tags.every((tag) => one.tags.some((other) => other.name === tag)))
  return [...new Set(fitting.map((one) => named.get(one.astNodeIds[0])))].sort()
}

function shown() {
  const titles = [...document.querySelectorAll('#content h2')].map((one) => one.textContent)
  return [...new Set(titles.flatMap((one) => one.match(/^(?:Scenario|Scenario Outline|Example): (.*)$/s)?.[1] ?? []))].sort()
}

// the report is there, and every feature in it is unfolded; nothing to unfold is settled too
async function settled(page) {
  await page.waitForSelector('#content input:not([type=checkbox])')
  await page.waitForFunction(() => !document.querySelector('#content button[aria-expanded=false]'))
}

async function look(browser, width) {
  const context = await browser.newContext({ viewport: { width, height: 844 }, offline: true })
  const page = await context.newPage()
  const complain = (text) => wrong.push(`at ${width} px: ${text}`)
  page.on('console', (said) => ['error', 'warning'].includes(said.type()) && complain(`the console says: ${said.text()}`))
  page.on('pageerror', (error) => complain(`the page fails: ${error.message}`))
  page.on('request', (asked) => /^(file|data|blob):/.test(asked.url()) || complain(`the page asks for ${asked.url()}`))

  await page.goto(address)
  await page.waitForSelector('#content button[aria-expanded]')
  await page.screenshot({ path: join(folder, `matrix-${width}.png`) })
  const rows = await page.locator('#acceptance tr[data-id]:visible').count()
  if (rows === 0) complain('there is no matrix')
  const cut = await page.evaluate(() => [...document.querySelectorAll('#acceptance *')]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 || one.scrollWidth > innerWidth)
    .map((one) => one.textContent.slice(0, 60)))
  if (cut.length) complain(`the matrix is cut off: ${cut[0]}`)
  const features = await page.evaluate(() => window.CUCUMBER_MESSAGES.flatMap((one) => one.gherkinDocument?.uri ?? []))
  const folded = await page.locator('#content button[aria-expanded]').allTextContents()
  if (features.length !== folded.length) complain(`${folded.length} features are shown, of ${features.length}`)
  const moved = features.find((uri, place) => folded[place] && !folded[place].includes(uri))
  if (moved) complain(`${moved} is not in its place`)

  const links = await page.evaluate(() => [...document.querySelectorAll('#acceptance a[href^="?"]')].map((one) => one.getAttribute('href')))
  if (links.length === 0) complain('the matrix has no links')
  for (const [place, link] of links.entries()) {
    await page.locator('#acceptance a[href^="?"]').nth(place).click()
    await page.waitForURL((url) => url.href.endsWith(link))
    await settled(page)
    const query = new URL(link, address).searchParams.get('query')
    const [should, does] = [await page.evaluate(expected, query), await page.evaluate(shown)]
    if (should.length === 0 || should.join('\n') !== does.join('\n')) {
      complain(`the link ${query} shows ${does.length} scenarios, and should show ${should.length}`)
    }
    if (place === 0) await page.screenshot({ path: join(folder, `proof-${width}.png`) })
  }

  await page.goto(address)
  const step = await page.evaluate(() => window.CUCUMBER_MESSAGES.find((one) => one.pickle?.steps.length).pickle.steps.at(-1).text)
  await page.locator('#content input:not([type=checkbox])').fill(step)
  await page.keyboard.press('Enter')
  await page.waitForFunction((text) => new URLSearchParams(location.search).get('query') === text, step)
  const first = page.locator('#content button[aria-expanded]').first()
  if (await first.getAttribute('aria-expanded') === 'false') await first.click()
  const found = await page.locator('#content h3', { hasText: step }).count()
  if (found === 0) complain(`the search does not find the step "${step}"`)

  await page.evaluate(() => document.querySelectorAll('#content details').forEach((one) => { one.open = true }))
  await page.evaluate(() => document.querySelector('#content details')?.scrollIntoView())
  await page.screenshot({ path: join(folder, `search-${width}.png`) })
  const wide = await page.evaluate(() => [...document.querySelectorAll('#content *')]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 200)))
  const more = await page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth)
  if (more > 0) complain(`the page is ${more} px too wide: ${wide.at(-1)}`)
  await context.close()
}

mkdirSync(folder, { recursive: true })
const browser = await launched()
for (const width of WIDTHS) await look(browser, width)
await browser.close()
wrong.forEach((one) => console.error(one))
process.exit(wrong.length ? 1 : 0)
