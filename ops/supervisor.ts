// `headwater up`: starts every role of one machine, restarts what dies, stops all in order. Nothing outlives it.
import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Settings } from '../platform/contract/settings.ts';
import { AppError } from '../platform/runtime/errors.ts';
import { type ChildPlan, SupervisedChild } from './child.ts';
import { childPlan, planRoles, sharedEnvironment } from './plan.ts';
import { minioPlan, redisPlan, requireTools } from './private-servers.ts';
import { type RunState, readRunState, removeRunState, writeRunState } from './run-state.ts';
import { loadSecrets } from './secrets.ts';

/** Another supervisor works on the same data folder. */
export class AlreadyRunning extends AppError {
  constructor(dataDir: string, pid: number) {
    super(
      'ALREADY_RUNNING',
      `Headwater already runs on ${dataDir} (process ${pid}): stop it, or set HEADWATER_DATA_DIR to another folder`,
      {
        source: 'client',
        retryable: false,
      },
    );
  }
}

const START_LIMIT_MS = 60_000;
const STOP_EXTRA_MS = 3_000;
/** Stop order: who takes work first, the stores last; inside a group all at once. */
const STOP_GROUPS = [['api', 'ingest', 'transcoder', 'edge'], ['origin'], ['minio'], ['redis']];

type StoreSecrets = Awaited<ReturnType<typeof loadSecrets>>['secrets'];
type Started = { state: RunState; adminToken: string; isNewToken: boolean };

export class Supervisor {
  private readonly settings: Settings;
  private readonly env: NodeJS.ProcessEnv;
  private readonly isRedisGiven: boolean;
  private readonly report: (line: string) => void;
  private readonly dataDir: string;
  private readonly children: SupervisedChild[] = [];
  private readonly startedAt = Date.now();
  private redisUrl: string;
  private store = '';
  private isOwner = false;
  private saving = Promise.resolve();

  /**
   * @param isRedisGiven REDIS_URL was set: no private Redis
   * @param report one line for the operator
   */
  constructor(settings: Settings, env: NodeJS.ProcessEnv, isRedisGiven: boolean, report: (line: string) => void) {
    this.settings = settings;
    this.env = env;
    this.isRedisGiven = isRedisGiven;
    this.report = report;
    this.dataDir = resolve(settings.DATA_DIR);
    this.redisUrl = settings.REDIS_URL;
  }

  /** Stores first, then all roles. @throws ToolMissing AlreadyRunning, or what the roles said */
  async start(): Promise<Started> {
    requireTools(!this.isRedisGiven);
    const running = await readRunState(this.dataDir);
    if (running) throw new AlreadyRunning(this.dataDir, running.pid);
    this.isOwner = true;
    await mkdir(this.dataDir, { recursive: true });
    const { secrets, isNew } = await loadSecrets(this.dataDir);
    const s3 = await this.startStores(secrets);
    await this.startRoles(sharedEnvironment(this.env, this.settings, secrets, this.redisUrl, s3));
    this.save();
    await this.saving;
    return {
      state: this.snapshot(),
      adminToken: secrets.admin_token,
      isNewToken: isNew && this.settings.ADMIN_TOKEN === undefined,
    };
  }

  /** Ordered stop; every process has ended when it resolves. */
  async stop(): Promise<void> {
    const limit = this.settings.SHUTDOWN_TIMEOUT_MS + STOP_EXTRA_MS;
    for (const group of STOP_GROUPS) {
      await Promise.all(
        this.children.filter((child) => group.includes(child.plan.role)).map((child) => child.stop(limit)),
      );
    }
    await this.saving;
    if (this.isOwner) await removeRunState(this.dataDir);
  }

  /** Kills every process group at once. */
  killAll(): void {
    for (const child of this.children) child.killNow();
  }

  /** Reads the secrets anew and restarts the api with them. */
  async reloadToken(): Promise<void> {
    const { secrets } = await loadSecrets(this.dataDir);
    const api = this.children.find((child) => child.plan.role === 'api');
    await api?.replace({ HEADWATER_ADMIN_TOKEN: secrets.admin_token }, this.settings.SHUTDOWN_TIMEOUT_MS);
  }

  private add(plan: ChildPlan): SupervisedChild {
    const child = new SupervisedChild(plan, this.report, () => this.save());
    this.children.push(child);
    return child;
  }

  private save(): void {
    this.saving = this.saving
      .then(() => writeRunState(this.dataDir, this.snapshot()))
      .catch((thrown: Error) => this.report(`run state not written: ${thrown.message}`));
  }

  private snapshot(): RunState {
    const processes = this.children.map((child) => ({
      name: child.plan.name,
      role: child.plan.role,
      pid: child.pid ?? 0,
      restarts: child.restarts,
      url: child.addresses?.url ?? null,
      public_url: child.addresses?.public_url ?? null,
      private_url: child.addresses?.private_url ?? null,
    }));
    const urlsOf = (role: string) =>
      processes.filter((item) => item.role === role).map((item) => item.public_url ?? item.url ?? '');
    return {
      pid: process.pid,
      started_at: this.startedAt,
      store: this.store,
      api_url: urlsOf('api')[0] ?? '',
      rtmp_url: urlsOf('ingest')[0] ?? '',
      edge_urls: urlsOf('edge'),
      redis_url: this.redisUrl,
      processes,
    };
  }

  /** @returns the settings by which roles reach a private store */
  private async startStores(secrets: StoreSecrets): Promise<Record<string, string>> {
    const { settings, dataDir } = this;
    const base = sharedEnvironment(this.env, settings, secrets, this.redisUrl, {});
    if (!this.isRedisGiven) {
      const { plan, url } = await redisPlan(dataDir, secrets, base);
      await this.add(plan).start(START_LIMIT_MS);
      this.redisUrl = url;
    }
    if (settings.STORAGE !== 'minio') {
      this.store =
        settings.STORAGE === 'fs'
          ? `folder ${resolve(dataDir, 'store')}`
          : `S3 ${settings.S3_ENDPOINT}, bucket ${settings.S3_BUCKET}`;
      return {};
    }
    const minio = await minioPlan(dataDir, secrets, base);
    await this.add(minio.plan).start(START_LIMIT_MS);
    this.store = `private MinIO ${minio.settings['HEADWATER_S3_ENDPOINT']}, bucket ${settings.S3_BUCKET}`;
    return minio.settings;
  }

  /** The api first: it proves the store and builds the index; then all others at once. */
  private async startRoles(shared: Record<string, string>): Promise<void> {
    const base = this.settings.PRIVATE_PORT_BASE;
    const plans = await Promise.all(
      planRoles(this.settings).map((role, index) =>
        childPlan(role, this.dataDir, shared, base === 0 ? 0 : base + index),
      ),
    );
    const [api, ...others] = plans.map((plan) => this.add(plan));
    await api?.start(START_LIMIT_MS);
    const results = await Promise.allSettled(others.map((child) => child.start(START_LIMIT_MS)));
    const faults = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []));
    if (faults.length > 0) throw new AggregateError(faults, faults.map((fault) => fault.message).join('\n'));
  }
}
