/* Values under the pointer, for the timeline pictures. The page is whole without it. */
for (const figure of document.querySelectorAll('.timeline')) {
  const svg = figure.querySelector('.picture');
  const readout = figure.querySelector('.readout');
  const { duration_ms, states, lines } = JSON.parse(figure.querySelector('.values').textContent);
  // A line of the picture itself, so that no namespace has to be named.
  const cursor = svg.querySelector('line').cloneNode();
  cursor.setAttribute('class', 'cursor');
  cursor.setAttribute('y1', '0');
  cursor.setAttribute('y2', '100%');
  cursor.setAttribute('visibility', 'hidden');
  svg.append(cursor);

  const show = (part) => {
    const at = part * duration_ms;
    const state = states.find(([to]) => at <= to)?.[1];
    const texts = lines.flatMap(([name, unit, values]) => {
      const value = values[Math.min(values.length - 1, Math.floor(part * values.length))];
      return value === null ? [] : [`${name} ${value.toLocaleString('en-US')} ${unit}`];
    });
    const where = state === undefined || state === 'none' ? [] : [state];
    readout.textContent = [`${(at / 1000).toFixed(1)} s`, ...where, ...texts].join(' · ');
    cursor.setAttribute('x1', `${part * 100}%`);
    cursor.setAttribute('x2', `${part * 100}%`);
    cursor.setAttribute('visibility', 'visible');
  };

  svg.addEventListener('pointermove', (event) => {
    const { left, width } = svg.getBoundingClientRect();
    show(Math.min(1, Math.max(0, (event.clientX - left) / width)));
  });
  svg.addEventListener('pointerleave', () => {
    readout.textContent = '';
    cursor.setAttribute('visibility', 'hidden');
  });
}
