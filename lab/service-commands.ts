/**
 * `kill`, `freeze` and `thaw`: what a person does to one service of the lab that runs here, and what is
 * told about it: what that means for the frames, and how it heals. How it is done is the ground's
 * (`ground/ground.ts`); what chaos does, verified and timed, is not here.
 */
import { EXIT, LabError } from '#lab/errors.ts';
import type { Ground, Service } from '#lab/ground/ground.ts';
import { nearest } from '#lab/suggest.ts';

const SERVICES = ['collector', 'server', 'toxiproxy'] as const;
type ServiceName = (typeof SERVICES)[number];

export type ServiceAction = 'kill' | 'freeze' | 'thaw';

interface Told {
  /** As a sentence begins with it. */
  readonly subject: string;
  /** What a kill means, once it is back. */
  readonly killed: string;
  /** What goes on meanwhile, and what does not. */
  readonly frozen: string;
}

const TOLD: Readonly<Record<ServiceName, Told>> = {
  collector: {
    subject: 'The collector',
    killed: 'What it had accepted is in its queue on disk, and it goes on from there.',
    frozen: 'It captures nothing until it goes on; what it had accepted is on its disk.',
  },
  server: {
    subject: 'The server',
    killed:
      'What it had confirmed is in its store; the collector comes back by itself and sends the rest.',
    frozen:
      'Its page and its API are silent, too. The collector gives the connection up after some seconds, and keeps what it captures.',
  },
  toxiproxy: {
    subject: 'Toxiproxy',
    killed:
      'The link is whole then, cut or slow before or not; the collector comes back by itself.',
    frozen:
      'The link hangs, and nobody can tell how it stands. The collector gives the connection up after some seconds, and keeps what it captures.',
  },
};

/**
 * @param action what is to be done with it, as it is typed.
 * @throws LabError `no_service` for none, and for one that there is not.
 */
export function serviceNamed(
  word: string | undefined,
  action: ServiceAction | 'logs',
): ServiceName {
  const found = SERVICES.find((name) => name === word);
  if (found !== undefined) return found;
  const meant = word === undefined ? undefined : nearest(word, SERVICES);
  throw new LabError({
    code: 'no_service',
    exitCode: EXIT.usage,
    message: word ? `there is no service '${word}'` : `which service is it to ${action}?`,
    next: [
      ...(meant === undefined ? [] : [`Did you mean: ./holdfast ${action} ${meant}`]),
      `There are: ${SERVICES.join(', ')}`,
      ...(meant === undefined ? [`So: ./holdfast ${action} ${SERVICES[0]}`] : []),
    ],
  });
}

/**
 * Resolves when it has taken effect; what is so already is left alone, and told.
 * @throws LabError `ground_failed` for a service that does not run now.
 */
export async function actOn(
  name: ServiceName,
  action: ServiceAction,
  ground: Pick<Ground, 'service'>,
  print: (line: string) => void,
): Promise<void> {
  const service = ground.service(name);
  const { subject, killed } = TOLD[name];
  const { running, frozen } = await service.state();
  if (!running) throw notRunning(name, action);
  switch (action) {
    case 'kill':
      await service.kill();
      print(`${subject} was killed (SIGKILL), and comes back by itself within seconds.`);
      print(killed);
      print('To watch it: make status');
      return;
    case 'freeze':
      return freeze(name, { service, frozen }, print);
    case 'thaw':
      if (!frozen) return print(`${subject} was not frozen, so there is nothing to thaw.`);
      await service.thaw();
      print(`${subject} goes on. To watch it catch up: make status`);
      return;
    default:
      return action satisfies never;
  }
}

async function freeze(
  name: ServiceName,
  { service, frozen }: { readonly service: Service; readonly frozen: boolean },
  print: (line: string) => void,
): Promise<void> {
  const { subject, frozen: meanwhile } = TOLD[name];
  if (frozen) {
    print(`${subject} stands still already.`);
  } else {
    await service.freeze();
    print(`${subject} stands still: it has not ended, and does nothing more.`);
    print(meanwhile);
  }
  print(`It does not go on by itself: ./holdfast thaw ${name} (make up does it, too)`);
}

function notRunning(name: ServiceName, action: ServiceAction): LabError {
  return new LabError({
    code: 'ground_failed',
    exitCode: EXIT.failed,
    message: `${name} does not run now, so there is nothing to ${action}`,
    next: ['It may be about to come back: make status', 'If not: make up'],
  });
}
