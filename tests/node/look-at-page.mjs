// Opens the living documentation from the disk in Chromium, as a stakeholder does: without a network, at two widths,
// light and dark, and on paper. It follows every link, searches, and lets axe-core judge the page.
// Usage: node look-at-page.mjs PAGE FOLDER-FOR-PICTURES; prints what is wrong, and then exits with 1.
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { launched } from './chromium.mjs'

const VIEWS = [
  { width: 1280, colorScheme: 'light' },
  { width: 390, colorScheme: 'dark' },
]
const [path, folder] = process.argv.slice(2)
const address = pathToFileURL(resolve(path)).href
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const wrong = []

// each id that a link within the page names, and each search; what is there in the page's own data, the look can count
function links() {
  const all = [...document.querySelectorAll('a[href^="#"]:not(.skip)')].map((one) => one.getAttribute('href'))
  const names = [...new Set(all)]
  return { places: names.filter((one) => !one.startsWith('#search=')), searches: names.filter((one) => one.startsWith('#search=')) }
}

// the anchors of the scenarios that carry all of these tags, by the tags that are shown on them and around them
function carriers(tags) {
  const tagged = (item, tag) => {
    for (let around = item; around; around = around.parentElement) {
      if ((around.dataset.words ?? '').split(' ').includes(tag)) return true
    }
    return false
  }
  return [...document.querySelectorAll('[data-scenario]')].filter((one) => tags.every((tag) => tagged(one, tag))).map((one) => one.id)
}

const visible = () => [...document.querySelectorAll('[data-scenario]')].filter((one) => one.checkVisibility()).map((one) => one.id)
const tooWide = () => document.scrollingElement.scrollWidth - innerWidth

async function judged(page, complain) {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
  for (const { id, help, nodes } of violations) {
    complain(`axe: ${id}: ${help}, ${nodes.length} times: ${nodes[0].html.slice(0, 200)}`)
  }
}

async function look(browser, { width, colorScheme }) {
  const context = await browser.newContext({ viewport: { width, height: 844 }, colorScheme, offline: true })
  const page = await context.newPage()
  const complain = (text) => wrong.push(`at ${width} px, ${colorScheme}: ${text}`)
  const picture = (name) => page.screenshot({ path: join(folder, `${name}-${width}.png`) })
  page.on('console', (said) => ['error', 'warning'].includes(said.type()) && complain(`the console says: ${said.text()}`))
  page.on('pageerror', (error) => complain(`the page fails: ${error.message}`))
  page.on('request', (asked) => /^(file|data|blob):/.test(asked.url()) || complain(`the page asks for ${asked.url()}`))

  await page.goto(address)
  await picture('page')
  if (await page.locator('tr[data-id]').first().isHidden()) complain('there is no matrix')
  await judged(page, complain)

  const { places, searches } = await page.evaluate(links)
  if (searches.length === 0) complain('the matrix has no links')
  const lost = await page.evaluate((names) => names.filter((one) => !document.getElementById(one.slice(1))), places)
  lost.forEach((one) => complain(`the link ${one} leads nowhere`))
  for (const link of searches) {
    const words = decodeURIComponent(link.slice('#search='.length))
    await page.evaluate((hash) => { location.hash = hash }, link)
    await page.waitForFunction((text) => document.getElementById('words').value === text, words)
    await page.evaluate(() => document.querySelectorAll('.scenario > details').forEach((one) => { one.open = true }))
    const [should, does] = [await page.evaluate(carriers, words.split(' ')), await page.evaluate(visible)]
    if (should.length === 0) complain(`the link ${words} shows nothing`)
    const missing = should.filter((one) => !does.includes(one))
    if (missing.length) complain(`the link ${words} does not show ${missing[0]}`)
  }

  // a scenario by its address, inside folds that are closed
  await page.goto('about:blank')
  const scenario = places.filter((one) => one.startsWith('#scenario-') && !lost.includes(one)).at(-1)
  await page.goto(address + scenario)
  if (!await page.locator(`[id="${scenario.slice(1)}"]`).isVisible()) complain(`${scenario} stays folded`)
  await picture('scenario')

  // the words of a step, typed
  const step = await page.evaluate(() => document.querySelector('article[data-scenario] .steps p').textContent)
  await page.locator('#words').fill('')
  await page.locator('#words').pressSequentially(step.split(' ').slice(1).join(' '))
  const number = await page.locator('#number').textContent()
  if (!/^[1-9]\d* scenario/.test(number)) complain(`the search finds "${number}" for the step "${step}"`)
  await picture('search')
  await page.locator('#words').fill('no such words')
  const none = await page.locator('#number').textContent()
  if (!none.startsWith('0 scenarios')) complain(`the search finds "${none}" for words that are nowhere`)
  await page.locator('#words').fill('')

  // paper shows what is folded, and the screen is as before
  const folded = await page.locator('.scenario > details:not([open])').count()
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')))
  const unprinted = await page.locator('.scenario > details:not([open])').count()
  if (unprinted) complain(`${unprinted} scenarios of ${folded}: is not printed`)
  await page.evaluate(() => dispatchEvent(new Event('afterprint')))
  if (await page.locator('.scenario > details:not([open])').count() !== folded) complain('print unfolds the screen')

  await page.locator('#unfold').focus()
  await page.keyboard.press('Enter')
  const closed = await page.locator('details:not([open])').count()
  if (closed) complain(`"Unfold all" leaves ${closed} folded`)
  await judged(page, complain)
  const wide = await page.evaluate(tooWide)
  if (wide > 0) complain(`the page is ${wide} px too wide`)
  if (width === VIEWS[0].width) await page.pdf({ path: join(folder, 'page.pdf') })
  await context.close()
}

mkdirSync(folder, { recursive: true })
const browser = await launched()
for (const view of VIEWS) await look(browser, view)
await browser.close()
wrong.forEach((one) => console.error(one))
process.exit(wrong.length ? 1 : 0)
