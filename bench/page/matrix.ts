/**
 * Contenders side by side for the page: a row for each measure, a cell for each contender with its
 * median, a bar from 0 on the row's own scale, its samples on it, and what ours is of it.
 */
import { html, type Markup } from '#pages/html.ts';
import { percent } from '#pages/plot.ts';
import type { FigureDocument } from '../document.ts';
import { type Matrix, type MatrixCell, type MatrixRow, OURS, rangeOf, timesOf } from '../matrix.ts';
import { linear, type Scale } from './scale.ts';
import { shown } from './words.ts';

const HEIGHT = 12;

/** `title`: what it is called where it has no case. */
export function matrixTable(matrix: Matrix, title: string): Markup {
  const { contenders, rows } = matrix;
  return html`<table class="matrix">
<caption><strong>${matrix.case ?? title}</strong> <span class="quiet">${timesOf(matrix)}</span></caption>
<thead><tr><th scope="col">Measure</th>${contenders.map((name) => html`<th scope="col"${ours(name)}>${name}</th>`)}<th scope="col" class="aimed">Aim</th></tr></thead>
<tbody>
${rows.map(matrixRow)}</tbody>
</table>
`;
}

function matrixRow({ title, unit, cells, aims, ratioAims }: MatrixRow): Markup {
  const scale = linear(Math.max(0, ...cells.map(({ figure }) => figure?.max ?? 0)));
  const remarks = [...aims, ...ratioAims];
  return html`<tr><th scope="row">${title} <span class="quiet">${unit}</span></th>${cells.map((cell) => matrixCell(cell, scale))}<td class="${remarks.length === 0 ? 'aimed none' : 'aimed'}" data-label="Aim"><ul>${remarks.map(
    ({ text, met }) => html`<li${met === false && html` class="bad"`}>${text}</li>`,
  )}</ul></td></tr>
`;
}

function matrixCell({ contender, figure, ratio, isBest }: MatrixCell, scale: Scale): Markup {
  if (figure === undefined) return html`<td class="none"></td>`;
  const range = rangeOf(figure, shown);
  const median = isBest ? html`<strong>${shown(figure.median)}</strong>` : shown(figure.median);
  return html`<td data-label="${contender}"${ours(contender)}><div class="reached"><p>${median}${range !== undefined && html` <span class="quiet range">${range}</span>`}</p>${bar(figure, scale)}${
    ratio !== undefined && html`<p class="quiet">ours / it: ${shown(ratio.median)}</p>`
  }</div></td>`;
}

function bar({ median, samples, unit }: FigureDocument, scale: Scale): Markup {
  const x = (value: number) => percent(scale.at(value), 1);
  return html`<svg class="bar" width="100%" height="${HEIGHT}" aria-hidden="true"><rect width="${x(median)}" y="3" height="6"/>${
    samples.length > 1 &&
    samples.map(
      (value) =>
        html`<circle class="dot" cx="${x(value)}" cy="6" r="3"><title>${shown(value)} ${unit}</title></circle>`,
    )
  }</svg>`;
}

function ours(contender: string): Markup | false {
  return contender === OURS && html` class="ours"`;
}
