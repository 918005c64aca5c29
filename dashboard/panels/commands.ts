/** What a page may not do, as commands ready to copy: processes that are killed and frozen. */
import { h, setText } from '../dom.ts';

const COMMANDS = [
  ['./holdfast kill collector', 'It is brought back by itself and finds its queue as it was.'],
  ['./holdfast kill server', 'Collectors wait, and deliver when it is back.'],
  ['./holdfast freeze collector', 'Nothing is captured until it is thawed.'],
  ['./holdfast thaw collector', 'It goes on where it stood.'],
  [
    './holdfast freeze server',
    'Connections stay open and nothing is answered: this page stands still, too.',
  ],
  ['./holdfast thaw server', 'It goes on, and what waited comes in.'],
] as const;

const TOLD_MS = 2_000;

export function commandList(): HTMLElement {
  return h(
    'details',
    { class: 'commands' },
    h('summary', {}, 'Kill and freeze, from a terminal'),
    h('ul', {}, ...COMMANDS.map(([command, text]) => item(command, text))),
  );
}

/** Exported for the empty page, which has one, too. */
export function copyable(command: string): HTMLElement {
  const button = h('button', { type: 'button', 'aria-label': `Copy ${command}` }, 'Copy');
  button.addEventListener('click', () => {
    void copy(command).then((done) => {
      setText(button, done ? 'Copied' : 'Select it');
      setTimeout(() => setText(button, 'Copy'), TOLD_MS);
    });
  });
  return h('span', { class: 'command' }, h('code', {}, command), button);
}

function item(command: string, text: string): HTMLElement {
  return h('li', {}, copyable(command), h('p', {}, text));
}

/** Over plain HTTP from another machine a browser lets nobody copy. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
