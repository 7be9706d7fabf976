"""What can be measured of a page as a person meets it: contrast, names, order of headings, room.

Each measurement runs in the browser and returns what is wrong, [] when nothing is.
"""

from __future__ import annotations

from typing import cast

from playwright.sync_api import Page

_CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat([1]);
  const behind = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.push(rgba(getComputedStyle(one).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const wrong = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (!text || element.closest('svg, .sr, .skip, script, noscript, [disabled], .offer.off')) continue;
    if (!element.checkVisibility({checkOpacity: true, checkVisibilityCSS: true})) continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ground = behind(element);
    const [a, b] = [light(over(rgba(style.color), ground)), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const where = element.className || element.tagName;
    if (ratio < (large ? 3 : 4.5)) wrong.add(`${ratio.toFixed(2)} ${where}: ${text.slice(0, 40)}`);
  }
  return [...wrong];
}"""

_NAMES = """() => {
  const wrong = [];
  const say = (element, what) => wrong.push(`${what}: ${element.outerHTML.slice(0, 120)}`);
  const textOf = (ids) => ids.split(/\\s+/).map((id) => document.getElementById(id)?.textContent.trim()).join(' ');
  const name = (element) => (element.getAttribute('aria-label') || textOf(element.getAttribute('aria-labelledby') || '')
    || [...(element.labels || [])].map((label) => label.textContent).join(' ') || element.textContent).trim();
  for (const one of document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a[href], summary')) {
    if (!name(one)) say(one, 'no name');
  }
  for (const one of document.querySelectorAll('svg')) {
    const named = one.getAttribute('role') === 'img' && name(one);
    if (!named && one.getAttribute('aria-hidden') !== 'true') say(one, 'drawing without a text alternative');
  }
  for (const one of document.querySelectorAll('progress')) if (!name(one)) say(one, 'progress without a name');
  for (const attribute of ['aria-labelledby', 'aria-describedby', 'for']) {
    for (const one of document.querySelectorAll(`[${attribute}]`)) {
      const missing = one.getAttribute(attribute).split(/\\s+/).filter((id) => !document.getElementById(id));
      for (const id of missing) say(one, `no #${id}`);
    }
  }
  const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
  for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) wrong.push(`id twice: ${id}`);
  for (const one of document.querySelectorAll('[tabindex]')) if (one.tabIndex > 0) say(one, 'tabindex above 0');
  for (const one of document.querySelectorAll('[style], [onclick]')) say(one, 'inline style or script');
  for (const one of document.querySelectorAll('table')) if (!one.querySelector('th')) say(one, 'table without headers');
  return wrong;
}"""

_STRUCTURE = """() => {
  const wrong = [];
  if (!document.documentElement.lang) wrong.push('no language');
  if (!document.title) wrong.push('no title');
  for (const selector of ['main', 'body > header', 'body > footer', 'h1']) {
    const found = document.querySelectorAll(selector).length;
    if (found !== 1) wrong.push(`${found} x ${selector}`);
  }
  const navs = [...document.querySelectorAll('nav')].map((one) => one.getAttribute('aria-label'));
  if (navs.some((name) => !name) || new Set(navs).size !== navs.length) wrong.push(`navigations: ${navs}`);
  let before = 0;
  for (const heading of document.querySelectorAll('main h1, main h2, main h3, main h4')) {
    const level = Number(heading.tagName[1]);
    if (level > before + 1) wrong.push(`h${level} after h${before}: ${heading.textContent.trim().slice(0, 40)}`);
    before = level;
  }
  return wrong;
}"""

_ROOM = """() => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return [];
  return [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > wide + 1)
    .slice(0, 5).map((one) => one.outerHTML.slice(0, 100));
}"""


def contrast(page: Page) -> list[str]:
    """Text with less than 4.5 : 1 against what is behind it (3 : 1 for large text)."""
    return cast(list[str], page.evaluate(_CONTRAST))


def names(page: Page) -> list[str]:
    """Controls and drawings without a name, references to nothing, doubled ids, inline style."""
    return cast(list[str], page.evaluate(_NAMES))


def structure(page: Page) -> list[str]:
    """Landmarks and headings that are missing, doubled or out of order."""
    return cast(list[str], page.evaluate(_STRUCTURE))


def sticking_out(page: Page) -> list[str]:
    """What is wider than the window, if the page can be scrolled sideways."""
    return cast(list[str], page.evaluate(_ROOM))


def wrong(page: Page) -> list[str]:
    """All of it."""
    return contrast(page) + names(page) + structure(page) + sticking_out(page)
