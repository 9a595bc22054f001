// Serves a built knowledge base on loopback and runs axe on its pages in a real browser. Usage: check.mjs SITE CHROMIUM

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";

const [site, executablePath] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const ENTRY = "policy/terraform-state-lock-dynamodb-permission-denied";
const INDEXES = ["index.html", "zh/index.html"];
const PAGES = [...INDEXES, `${ENTRY}/index.html`, `zh/${ENTRY}/index.html`];
const WIDTHS = { phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 900 } };
const SCHEMES = ["light", "dark"];
// WCAG 2.2 to AA, and what axe calls best practice.
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".json": "application/json" };

const server = createServer(async (request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
  try {
    const body = await readFile(join(site, path));
    response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "text/plain; charset=utf-8" }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

// The sandbox of the browser does not start for root, as whom containers often run; the pages are our own.
const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath, args });
const counts = { pages: 0, rules: 0, violations: 0, undecided: 0 };

async function check(path, scheme, width) {
  const context = await browser.newContext({ colorScheme: scheme, viewport: WIDTHS[width], isMobile: width === "phone" });
  const page = await context.newPage();
  const label = `${path}, ${scheme}, ${width}`;
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  const answer = await page.goto(`${origin}/${path}`);
  if (answer.status() !== 200) throw new Error(`${label}: status ${answer.status()}`);
  if (INDEXES.includes(path)) {
    // As it looks once somebody has searched.
    await page.fill("#q", "digest");
    const [said, shown] = await page.evaluate(() => [
      document.querySelector("#count").textContent,
      [...document.querySelectorAll(".entries li")].filter((entry) => entry.offsetParent).length,
    ]);
    if (!said || shown === 0 || !said.includes(`${shown}`)) errors.push(`a search says "${said}" and shows ${shown} entries`);
  }
  await page.evaluate(axe);
  const result = await page.evaluate((tags) => globalThis.axe.run(document, { runOnly: tags }), TAGS);
  const [needed, there] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  await context.close();

  counts.pages += 1;
  counts.rules += result.passes.length + result.violations.length;
  for (const { id, help, nodes } of result.violations) {
    counts.violations += nodes.length;
    for (const node of nodes) {
      console.log(`${label}: ${id}: ${help}\n  ${node.target.join(" ")}\n  ${node.failureSummary.replaceAll("\n", "\n  ")}`);
    }
  }
  for (const { id, nodes } of result.incomplete) {
    counts.undecided += nodes.length;
    console.log(`${label}: undecided: ${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
  }
  if (needed > there) errors.push(`it is ${needed} pixels wide, and the window ${there}`);
  for (const error of errors) {
    counts.violations += 1;
    console.log(`${label}: ${error}`);
  }
}

try {
  for (const path of PAGES) {
    for (const scheme of SCHEMES) {
      for (const width of Object.keys(WIDTHS)) await check(path, scheme, width);
    }
  }
} finally {
  await browser.close();
  server.close();
}
const { pages, rules, violations, undecided } = counts;
console.log(
  `axe ${createRequire(import.meta.url)("axe-core/package.json").version}: ${pages} pages, ${rules} rules applied, ${violations} violations, ${undecided} undecided`,
);
process.exitCode = violations === 0 ? 0 : 1;
