/** What this process may do as the kernel sees it, which a root user's name doesn't say. */
import { existsSync, readFileSync } from 'node:fs';

/** Numbers of the kernel's. */
const CAPABILITIES = { net_admin: 12, sys_ptrace: 19, sys_admin: 21 } as const;

export function hasCapability(name: keyof typeof CAPABILITIES): boolean {
  if (!existsSync('/proc/self/status')) return false;
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s+(\w+)$/m.exec(status)?.[1] ?? '0'}`);
  return ((effective >> BigInt(CAPABILITIES[name])) & 1n) === 1n;
}
