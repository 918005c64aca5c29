/**
 * A container as docker-compose.yml has them: an init process, no capabilities, a read-only root
 * file system, brought back by its restart policy, and labelled as one of a Compose project, by
 * which the ground finds it.
 */
import { GenericContainer } from 'testcontainers';
import { LABELS } from './labels.ts';

/** Three stacks start side by side on two cores, which may have more to do. */
const START_MS_MAX = 180_000;

export interface Membership {
  readonly project: string;
  /** As docker-compose.yml calls it. */
  readonly service: string;
}

export class ServiceContainer extends GenericContainer {
  /** `data`: a folder of the image that becomes a volume of this container's own. */
  constructor(image: string, { project, service }: Membership, data?: string) {
    super(image);
    Object.assign(this.hostConfig, {
      Init: true,
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges:true'],
      Tmpfs: { '/tmp': 'size=64m,mode=1777,noexec,nosuid,nodev' },
      RestartPolicy: { Name: 'unless-stopped' },
    });
    if (data !== undefined) this.createOpts.Volumes = { [data]: {} };
    this.withUser('1000:1000')
      .withStartupTimeout(START_MS_MAX)
      .withLabels({
        ...LABELS,
        'dev.holdfast.project': project,
        'com.docker.compose.project': project,
        'com.docker.compose.service': service,
      });
  }

  /** A file or folder of this machine, beside those that it has. */
  withReadOnly(source: string, target: string): this {
    this.hostConfig.Binds = [...(this.hostConfig.Binds ?? []), `${source}:${target}:ro`];
    return this;
  }
}
