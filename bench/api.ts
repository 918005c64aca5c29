/** The server's API, as a benchmark asks it. */
import { BenchError } from './errors.ts';

/** @throws BenchError unless it answers 200, with all of its text. */
export async function textOf(url: string): Promise<string> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url);
    text = await response.text();
  } catch (cause) {
    throw new BenchError(`${url} was not answered: ${cause}`, { cause });
  }
  if (response.status !== 200) throw new BenchError(`${url} was answered ${response.status}`);
  return text;
}
