/**
 * The frame of every report page: one file that holds all it needs and asks the network for nothing.
 * What is in it, and what it has of looks beside `base.css`, is the report's.
 */
import { readFileSync } from 'node:fs';
import { html, Markup } from './html.ts';

const BASE = readFileSync(new URL('base.css', import.meta.url), 'utf8');

export interface Page {
  readonly title: string;
  /** Beside those of all pages. */
  readonly styles: string;
  readonly body: Markup;
  /** Plain JavaScript at the end of it; the page has to be whole without. */
  readonly script?: string;
}

export function page({ title, styles, body, script }: Page): string {
  const { text } = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${new Markup(BASE)}${new Markup(styles)}</style>
</head>
<body>
${body}
${script !== undefined && html`<script>${new Markup(script)}</script>\n`}</body>
</html>
`;
  return text;
}

/** `2026-11-26 07:12 UTC`; as it is where it is no time. */
export function timeText(text: string): string {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text;
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
