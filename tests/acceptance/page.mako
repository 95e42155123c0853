## The living documentation, for page.py; every expression is escaped.
<%def name="link_to(anchor, title)">
<a class="copy" href="#${anchor}" aria-label="Copy the link to: ${title}" title="Copy the link">#</a>\
</%def>
<%def name="states(counter, label='')">
<span class="${kind(counter)}">${mark(kind(counter))} ${", ".join(f"{number} {name}" for name, number in counter.items()) or "no scenario"}</span>\
</%def>
<%def name="tags(names)">
% for name in names:
<a class="tag t" href="${search(name)}">${name}</a>\
% endfor
</%def>
<%def name="steps(lines)">
<ol class="steps">
% for step in lines:
<li>\
<p class="t"><b>${step.keyword}</b> ${step.text}\
% if step.state:
 <span class="${'ko' if step.state == 'failed' else 'open'}">${mark('ko' if step.state == 'failed' else 'open')} ${step.state}</span>\
% endif
</p>
% if step.rows:
<table class="data t"><tbody>
% for row in step.rows:
<tr>${cells(row)}</tr>
% endfor
</tbody></table>
% endif
% if step.document:
<pre class="t">${step.document}</pre>
% endif
% for title, text in step.exchanges:
<details class="exchange"><summary>${title}</summary><pre tabindex="0">${text}</pre></details>
% endfor
</li>
% endfor
</ol>
</%def>
<%def name="cells(values)">
% for value in values:
<td>${value}</td>\
% endfor
</%def>
<%def name="failure(example)">
% if example.failure:
<p class="failure">${sentence(example.failure)}</p>
<details class="exchange"><summary>Traceback</summary><pre tabindex="0">${example.failure.traceback}</pre></details>
% elif example.reason:
<p class="open">${example.state}: ${example.reason}</p>
% endif
</%def>
<%def name="sentence(failure)">
Expected: “${failure.expected}”. What came: ${failure.came}\
% if failure.answer:
 (the last request: ${failure.answer})\
% endif
.\
</%def>
<%def name="status_of(row)">
<% of, text = word(row) %>\
<td class="status ${of}">${mark(of)} ${text}</td>\
</%def>
<%def name="matrix(rows, heads)">
<table class="stack"><thead><tr>
% for head in heads:
<th scope="col">${head}</th>
% endfor
</tr></thead><tbody>
% for row in rows:
<tr data-id="${row.id}" data-item><th scope="row">\
% if row.states:
<a href="${search(row.id)}">${row.id}</a>\
% else:
${row.id}\
% endif
</th><td class="promise">\
% if row.cells:
<% of_story = [feature for feature in features if row.id in feature.tags] %>\
% if len(of_story) == 1:
<a href="#${of_story[0].anchor}">${code(row.title)}</a>\
% else:
${code(row.title)}\
% endif
% else:
${code(row.title)}\
% endif
</td>${status_of(row)}<td>${row.counts}</td>\
% if "By criterion" in heads:
<td class="cells">\
% for id_, counter in row.cells.items():
<a href="${search(row.id + ' ' + id_)}">${id_} ${mark(kind(counter))} ${counter.total()}</a> \
% endfor
</td>\
% endif
</tr>
% endfor
</tbody></table>
</%def>
<%
    everything = [(scenario, example) for feature in features for scenario in feature.scenarios for example in scenario.examples]
    failed = [(scenario, example) for scenario, example in everything if example.failure]
    criteria = run.verdict.criteria
    proven = sum(row.status == PROVEN for row in criteria)
    partly = [row.id for row in criteria if row.partly]
    unmeasured = [row.id for row in criteria if word(row)[1].startswith("not measured")]
    promises = [feature for feature in features if not feature.story]
    by_tests = run.verdict.by_tests
    proven_rulings = sum(row.status == PROVEN for row in run.verdict.rulings)
    contents = [
        ("failures", "What failed", failed or run.others.failed),
        ("changes", "What changed", True),
        ("criteria", "Acceptance criteria", True),
        ("stories", "User stories", True),
        ("promises", "Promises", promises),
        ("rulings", "Rulings", run.verdict.rulings),
        ("outside", "What it does not do", run.catalogue.outside),
        ("problems", "What must be mended", run.verdict.problems),
        ("absent", "Not run here", run.verdict.absent),
        ("features", "Features", True),
        ("glossary", "Words", run.catalogue.glossary),
    ]
%>\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${script_hash}'; base-uri 'none'; form-action 'none'">
<title>${heading}</title>
<style>
${css}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
<h1>\
% if run.catalogue.product:
${run.catalogue.product}\
% if run.catalogue.about:
: <span class="about">${code(run.catalogue.about)}</span>\
% endif
% else:
${heading}\
% endif
</h1>
<p class="answer"><strong>${proven} of ${len(criteria)} acceptance criteria are proven</strong>\
% if partly:
 <span class="open">(${", ".join(partly)}: but for what was not run here)</span>\
% endif
% if unmeasured:
 <span class="open">(${", ".join(unmeasured)}: not measured in this run)</span>\
% endif
 · \
% if run.commit.revision:
% if commit_address:
<a href="${commit_address}">commit <code>${run.commit.revision[:12]}</code></a>\
% else:
commit <code>${run.commit.revision[:12]}</code>\
% endif
${" with changes that are not committed" if run.commit.changed else ""}\
% else:
no commit\
% endif
 · ${at}</p>
% for of, text in state:
<p class="${of} state">${mark(of)} ${text}</p>
% endfor
</header>
<search class="bar">
<label for="words">Search</label>
<input id="words" type="search" autocomplete="off" placeholder="privacy, US-3, 201 characters …">
<output id="number" for="words"></output>
<button class="more" type="button" hidden></button>
<button class="everything" type="button" hidden>Show everything</button>
<label class="option"><input id="deep" type="checkbox"> in requests and answers, too</label>
<button id="unfold" type="button" aria-pressed="false">Unfold all</button>
<span id="copied" role="status"></span>
</search>
<main id="main" tabindex="-1">
<noscript><p>Without JavaScript the search and the links to ids do nothing; everything else is here.</p></noscript>
<p id="notice" role="status" hidden><span></span> <button class="more" type="button" hidden></button> \
<button class="everything" type="button" hidden>Show everything</button></p>
<nav aria-label="Contents">
<ul>
% for anchor, title, there in contents:
% if there:
<li><a href="#${anchor}">${title}</a></li>
% endif
% endfor
</ul>
</nav>
% if failed or run.others.failed:
<section id="failures" data-group data-words="failures failed">
<h2>What failed</h2>
<ul>
% for scenario, example in failed:
<li data-item><a href="#${example.anchor}">${example.name}</a>: <span class="failure">${sentence(example.failure)}</span></li>
% endfor
% for name in run.others.failed:
<li data-item>Another test: <code>${name}</code></li>
% endfor
</ul>
</section>
% endif
<section id="changes" data-group data-words="changes changed since">
% if not run.changes:
<h2>What changed</h2>
<p>Nothing was compared: no release and no main branch is at hand. To compare: <code>make docs SINCE=COMMIT</code></p>
% elif not run.changes.all:
<h2>What changed</h2>
<p>Nothing changed since ${run.changes.since}.</p>
% else:
<details><summary><h2>What changed since ${run.changes.since}</h2> ${run.changes.counts}\
% if not run.changes.revision.startswith(run.changes.since):
 (since commit <code>${run.changes.revision[:12]}</code>)\
% endif
</summary>
% for what in ("added", "reworded", "removed"):
% if run.changes.of(what):
<div data-group>
<h3>${what.capitalize()}</h3>
<ul>
% for change in run.changes.of(what):
<% anchor = f"{change.promise.kind.lower()}-{slug(change.promise.title)}" %>\
<li data-item>${change.promise.feature} · \
% if what == "removed":
${change}\
% else:
<a href="#${anchor}">${change}</a>\
% endif
</li>
% endfor
</ul>
</div>
% endif
% endfor
</details>
% endif
</section>
<section id="criteria" data-group data-words="acceptance criteria">
<h2>Acceptance criteria</h2>
${matrix(criteria, ["Criterion", "Promise", "Status", "Scenarios"])}
<p>A criterion is proven when at least one scenario carries it and all that do have passed. Each id leads to its scenarios.\
% for id_, bar in bars.items():
 ${id_} is proven by the coverage of the same run instead: the tests must run ${bar}.\
% endfor
</p>
<p class="legend"><span class="ok">✔</span> passed, or proven; <span class="ko">✘</span> failed, or not proven; \
<span class="open">·</span> not run, not measured, or only a part of it.</p>
</section>
<section id="stories" data-group data-words="user stories">
<h2>User stories</h2>
${matrix(run.verdict.stories, ["Story", "I want to", "Status", "Scenarios", "By criterion"])}
</section>
% if promises:
<section id="promises" data-group data-words="promises">
<h2>Promises</h2>
<p>What holds for all stories. Each line is a promise, and leads to the scenarios that prove it.</p>
<table class="stack"><thead><tr><th scope="col">Promise</th><th scope="col">Status</th><th scope="col">Scenarios</th></tr></thead>
% for feature in promises:
<tbody data-group data-words="${feature.title} ${feature.subject} ${' '.join(feature.tags)}">
<tr class="subject"><th scope="rowgroup" colspan="3">\
% if feature.subject:
${feature.subject}: \
% endif
<a href="#${feature.anchor}">${feature.title}</a></th></tr>
% for rule in feature.rules:
<tr data-item><td><a href="#${rule.anchor or feature.anchor}">${rule.title or "other scenarios"}</a></td>\
<td class="status ${kind(rule.states)}">${mark(kind(rule.states))} ${status(rule.states)}</td>\
<td>${", ".join(f"{number} {name}" for name, number in rule.states.items())}</td></tr>
% endfor
</tbody>
% endfor
</table>
</section>
% endif
% if run.verdict.rulings:
<section id="rulings" data-group data-words="rulings decisions">
<h2>Rulings</h2>
<p>${proven_rulings} of ${len(run.verdict.rulings)} decisions of the specification are proven\
% if by_tests:
; ${len(by_tests)} of them by tests alone: \
% for row in by_tests:
<a href="#ruling-${row.id}">${row.id}</a>${"" if loop.last else ", "}\
% endfor
% endif
.</p>
<details><summary>All rulings, and what proves them</summary>
<table class="stack"><thead><tr><th scope="col">Ruling</th><th scope="col">What is decided</th><th scope="col">Status</th><th scope="col">Proof</th></tr></thead><tbody>
% for row in run.verdict.rulings:
<tr data-id="${row.id}" data-item id="ruling-${row.id}"><th scope="row">\
% if row.states:
<a href="${search(row.id)}">${row.id}</a>\
% else:
${row.id}\
% endif
</th><td class="promise">${link(row.title)}</td>${status_of(row)}<td>\
% if row.states:
<details><summary>${row.counts}</summary><ul>
% for scenario, number in carriers(row.id):
<li><a href="#${scenario.anchor}">${scenario.name}</a>\
% if number < len(scenario.examples):
 (${number} of ${len(scenario.examples)} examples)\
% endif
</li>
% endfor
</ul></details>\
% else:
${code(row.counts)}\
% endif
</td></tr>
% endfor
</tbody></table>
</details>
</section>
% endif
% if run.catalogue.outside:
<section id="outside" data-group data-words="what it does not do">
<h2>What it does not do</h2>
<dl>
% for what, whose in run.catalogue.outside.items():
<div data-item><dt>${code(what)}</dt><dd>${code(whose)}</dd></div>
% endfor
</dl>
</section>
% endif
% if run.verdict.problems:
<section id="problems" data-group data-words="must be mended">
<h2>What must be mended</h2>
<ul>
% for problem in run.verdict.problems:
<li data-item>${code(str(problem))}</li>
% endfor
</ul>
</section>
% endif
% if run.verdict.absent:
<section id="absent" data-group data-words="not run here">
<h2>Not run here</h2>
<ul>
% for text in run.verdict.absent:
<li data-item>${code(text)}</li>
% endfor
</ul>
</section>
% endif
<section id="features" data-group data-words="">
<h2>Features</h2>
% for feature in features:
<article class="feature" id="${feature.anchor}" data-group data-words="${feature.title} ${feature.subject} ${' '.join(feature.tags)}">
<div class="links">\
% if feature.subject:
<span class="subject">${feature.subject}</span> \
% endif
${tags(feature.tags)}${link_to(feature.anchor, feature.title)}</div>
<h3>${feature.title}</h3>
% if feature.text:
<p class="narrative">${feature.text}</p>
% endif
<details><summary>${states(feature.states)}<span class="hidden"> in ${feature.title}</span></summary>
% for rule in feature.rules:
<section class="rule"${f' id={rule.anchor}' if rule.anchor else ""} data-group data-words="${rule.title} ${' '.join(rule.tags)}">
<div class="links">${tags(rule.tags)}\
% if rule.anchor:
${link_to(rule.anchor, rule.title)}\
% endif
</div>
<h4>${rule.title or "Scenarios"}</h4>
% if rule.text:
<p class="narrative">${rule.text}</p>
% endif
% for scenario in rule.scenarios:
% if scenario.tables or not scenario.examples:
<article class="scenario" id="${scenario.anchor}" data-group data-words="${scenario.name} ${' '.join(scenario.tags)} ${' '.join(str(step.text.striptags()) for step in scenario.steps)}">
<div class="links">${tags(scenario.tags)}${link_to(scenario.anchor, scenario.name)}</div>
<details><summary><h5>${scenario.name}</h5> ${states(scenario.states)}</summary>
${steps(scenario.steps)}
% for table in scenario.tables:
<table class="examples stack" data-group data-words="${table.title} ${' '.join(table.tags)}">
<caption>${table.title} ${tags(table.tags)}</caption>
<thead><tr>
% for name in table.header:
<th scope="col">${name}</th>\
% endfor
<th scope="col">result</th></tr></thead>
<tbody>
% for example in table.rows:
<tr id="${example.anchor}" data-item data-scenario>\
% for name, value in zip(table.header, example.cells):
<td data-name="${name}"${' class=why' if name == "why" else ""}>${value}</td>\
% endfor
<td class="result"><button type="button" class="${example.kind}" aria-expanded="false" aria-label="${example.state}: what was sent and answered for ${example.name}">${mark(example.kind)} ${example.state}</button></td></tr>
<tr class="proof"><td colspan="${len(table.header) + 1}">${failure(example)}${steps(example.steps)}</td></tr>
% endfor
</tbody></table>
% endfor
</details>
</article>
% else:
<% example = scenario.examples[0] %>\
<article class="scenario" id="${scenario.anchor}" data-item data-scenario data-words="${' '.join(scenario.tags)}">
<div class="links">${tags(scenario.tags)}${link_to(scenario.anchor, scenario.name)}</div>
<details><summary><h5 class="t">${scenario.name}</h5> <span class="${example.kind}">${mark(example.kind)} ${example.state}</span></summary>
${failure(example)}
${steps(example.steps)}
</details>
</article>
% endif
% endfor
</section>
% endfor
</details>
</article>
% endfor
</section>
% if run.catalogue.glossary:
<section id="glossary" data-group data-words="glossary words">
<h2>Words</h2>
<dl>
% for name, meaning in run.catalogue.glossary.items():
<div data-item id="word-${slug(name)}"><dt>${name}</dt><dd>${code(meaning)}</dd></div>
% endfor
</dl>
</section>
% endif
</main>
<script>${script}</script>
</body>
</html>
