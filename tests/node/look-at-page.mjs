// Opens the living documentation from the disk in Chromium, as a stakeholder does: without a network, at two widths,
// light and dark, and on paper. It follows every link, searches, goes back, and lets axe-core judge the page.
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

// a word of requests and answers that is nowhere else on the page
function wordOfExchanges() {
  const shown = document.body.cloneNode(true)
  shown.querySelectorAll('.exchange, script').forEach((one) => one.remove())
  const text = shown.textContent.toLowerCase()
  const words = [...document.querySelectorAll('.exchange pre')].flatMap((one) => one.textContent.match(/[a-z]{5,}/g) ?? [])
  return words.find((word) => !text.includes(word))
}

// the ways into a filter and out of it: Back and Forward, "Show everything", Esc, and what is said where nothing is found
async function filter(page, complain, picture) {
  const everything = page.locator('.bar .everything')
  const notice = page.locator('#notice')
  const hidden = () => page.locator('[data-item][hidden]').count()
  const settled = async (words, doing) => {
    const there = (text) => document.getElementById('words').value === text
    await page.waitForFunction(there, words, { timeout: 3000 }).catch(() => complain(`${doing}: the filter is not "${words}"`))
    if (words === '' && await hidden()) complain(`${doing}: the page stays filtered`)
    if (await everything.isVisible() !== (words !== '')) complain(`${doing}: "Show everything" is not as it should be`)
  }
  await page.goto('about:blank')
  await page.goto(address)
  if (await everything.isVisible()) complain('"Show everything" is there when everything is')
  const [criterion, story] = [page.locator('#criteria th a').first(), page.locator('#stories th a').first()]
  const [one, other] = [await criterion.textContent(), await story.textContent()]
  await story.click()
  await settled(other, 'a click on an id')
  await picture('filtered')
  await page.evaluate((text) => { location.hash = `#search=${text}` }, one)
  await settled(one, 'a second filter')
  await page.evaluate(() => history.back())
  await settled(other, 'Back')
  await page.evaluate(() => history.back())
  await settled('', 'Back twice')
  await page.evaluate(() => history.forward())
  await settled(other, 'Forward')
  if (await everything.count()) await everything.click()
  await settled('', '"Show everything"')
  await page.evaluate(() => history.back())
  await settled(other, 'Back to the filter')
  await page.locator('#main').focus()
  await page.keyboard.press('Escape')
  await settled('', 'Esc')

  await page.locator('#words').fill('no such words')
  if (!await notice.getByText('Nothing found for “no such words”').isVisible()) complain('nothing says that nothing was found')
  if (!await notice.locator('.everything').isVisible()) complain('where nothing is found there is no way out')
  await picture('nothing')
  await page.keyboard.press('Escape')
  await settled('', 'Esc where nothing is found')

  const word = await page.evaluate(wordOfExchanges)
  if (!word) complain('no word is in requests and answers alone')
  else {
    await page.locator('#words').fill(word)
    const more = notice.locator('.more')
    if (!/^[1-9]\d* more in requests and answers$/.test(await more.textContent({ timeout: 3000 }).catch(() => ''))) complain(`"${word}" is in answers alone, and nothing says so`)
    await more.click({ timeout: 3000 }).catch(() => complain('what is in answers alone is not offered'))
    if (!(await page.evaluate(visible)).length) complain(`"${word}" of an answer is not shown`)
    await page.locator('#deep').uncheck()
    await page.keyboard.press('Escape')
  }

  await page.evaluate(() => { location.hash = '#scenario-100%-gone' })
  if (!await notice.getByText('“scenario-100%-gone”').isVisible()) complain('a link that leads nowhere says nothing')
  await picture('lost')
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

  const answer = await page.locator('.answer').boundingBox()
  if (answer.y + answer.height > 844) complain('the answer is not on the first screen')

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

  await filter(page, complain, picture)

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

  // what opens looks as if it did
  const opener = page.locator('.result button').first()
  const sign = () => opener.evaluate((button) => getComputedStyle(button, '::before').content)
  const before = await sign()
  await opener.dispatchEvent('click')
  if (!before.includes('▸') || !(await sign()).includes('▾')) complain('a result that opens has no triangle')
  await opener.dispatchEvent('click')

  // paper has a margin, no heading alone at a page's end, and nothing to click on
  await page.emulateMedia({ media: 'print' })
  const paper = await page.evaluate(() => ({
    margin: [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).find((rule) => rule instanceof CSSPageRule)?.style.margin,
    heads: [...document.querySelectorAll('.feature > h3, .feature > .narrative')].every((head) => getComputedStyle(head).breakAfter === 'avoid'),
    texts: [...document.querySelectorAll('.narrative')].every((text) => getComputedStyle(text).breakInside === 'avoid'),
  }))
  if (!paper.margin) complain('on paper the text touches the edge')
  if (!paper.heads || !paper.texts) complain("a feature's heading can stand alone at a page's end")
  if (await page.locator('nav').isVisible()) complain('the contents list is printed')
  await page.emulateMedia({ media: null })

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
  if (width === VIEWS[0].width) await page.pdf({ path: join(folder, 'page.pdf'), preferCSSPageSize: true })
  await context.close()
}

mkdirSync(folder, { recursive: true })
const browser = await launched()
for (const view of VIEWS) await look(browser, view)
await browser.close()
wrong.forEach((one) => console.error(one))
process.exit(wrong.length ? 1 : 0)
