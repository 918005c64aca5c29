/** kill, freeze and thaw: what they do to a service, say, and refuse. A real ground is in test/ground. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { explain, LabError } from '#lab/errors.ts';
import type { Service } from '#lab/ground/ground.ts';
import { PATHS } from '#lab/paths.ts';
import { actOn, type ServiceAction, serviceNamed } from '#lab/service-commands.ts';

const ACTIONS = ['kill', 'freeze', 'thaw'] as const;
const SERVICES = ['collector', 'server', 'toxiproxy'] as const;

/** What was ordered of one service that stands so, and what was said. */
async function act(
  action: ServiceAction,
  state: { running?: boolean; frozen?: boolean } = {},
  name: (typeof SERVICES)[number] = 'collector',
) {
  const orders: string[] = [];
  const order = (what: string) => async () => {
    orders.push(what);
  };
  const service: Partial<Service> = {
    state: async () => ({ running: true, frozen: false, generation: '1', ...state }),
    ...{ kill: order('kill'), freeze: order('freeze'), thaw: order('thaw') },
  };
  const said: string[] = [];
  const ground = { service: () => service as Service };
  await actOn(name, action, ground, (line) => said.push(line));
  return { orders, said: said.join('\n') };
}

test.each(SERVICES)('a killed %s comes back by itself, which is said', async (name) => {
  const { orders, said } = await act('kill', {}, name);
  expect(orders).toEqual(['kill']);
  expect(said).toMatch(
    new RegExp(`^(The )?${name} was killed \\(SIGKILL\\), and comes back by itself`, 'i'),
  );
});

test.each(SERVICES)('a frozen %s is thawed by the command that is said', async (name) => {
  const { orders, said } = await act('freeze', {}, name);
  expect(orders).toEqual(['freeze']);
  expect(said).toContain(`./holdfast thaw ${name} (make up does it, too)`);
});

test('what is frozen can be killed; what is so already is left alone, and said', async () => {
  expect((await act('kill', { frozen: true })).orders).toEqual(['kill']);
  const again = await act('freeze', { frozen: true });
  expect(again.orders).toEqual([]);
  expect(again.said).toContain('stands still already');
  expect(again.said).toContain('./holdfast thaw collector');
  const moving = await act('thaw');
  expect(moving.orders).toEqual([]);
  expect(moving.said).toContain('was not frozen');
  const frozen = await act('thaw', { frozen: true });
  expect(frozen.orders).toEqual(['thaw']);
  expect(frozen.said).toContain('goes on');
});

test.each(ACTIONS)('there is nothing to %s where the service does not run', async (action) => {
  const error: unknown = await act(action, { running: false }).catch((thrown) => thrown);
  expect(error).toMatchObject({ code: 'ground_failed', exitCode: 1 });
  expect(explain(error as LabError).join('\n')).toContain('make up');
});

describe('the name of a service', () => {
  const refused = (word: string | undefined, action: ServiceAction = 'freeze') => {
    try {
      return serviceNamed(word, action);
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      expect(error.exitCode).toBe(2);
      return explain(error).join('\n');
    }
  };

  test.each(SERVICES)('is %s', (name) => {
    expect(serviceNamed(name, 'kill')).toBe(name);
  });

  test.each([
    ['colector', 'collector'],
    ['Server', 'server'],
    ['toxi-proxy', 'toxiproxy'],
    ['coll', 'collector'],
  ])('that is mistyped, %s, is met with the one that was meant', (word, meant) => {
    const said = refused(word);
    expect(said).toContain(`there is no service '${word}'`);
    expect(said).toContain(`Did you mean: ./holdfast freeze ${meant}`);
  });

  test('that is none, or not given, is met with all there are', () => {
    expect(refused('database')).not.toContain('Did you mean');
    for (const said of [refused('database'), refused(undefined), refused('')]) {
      expect(said).toContain('There are: collector, server, toxiproxy');
      expect(said).toContain('./holdfast freeze collector');
    }
    expect(refused(undefined, 'kill')).toContain('which service is it to kill?');
  });

  test('is taken from SERVICE, as make hands it over, and refused before anything is done', () => {
    const main = join(PATHS.root, 'lab/main.ts');
    const env = { ...process.env, SERVICE: 'colector' };
    for (const args of [['kill'], ['kill', 'colector']]) {
      const ran = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', env });
      expect(ran.status).toBe(2);
      expect(ran.stderr).toContain('Did you mean: ./holdfast kill collector');
      expect(ran.stderr).not.toContain('    at ');
    }
    const ran = spawnSync(process.execPath, [main, 'kill', 'server', 'collector'], {
      encoding: 'utf8',
    });
    expect(ran.status).toBe(2);
  });
});
