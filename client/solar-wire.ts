/** What REST and the live feed of a company tell of solar machines (schemas/openapi.yaml, schemas/asyncapi.yaml). */
export interface TelemetryWire {
  at: string;
  received_at: string;
  battery: number | null;
  solar_v: number | null;
  solar_a: number | null;
  water: number | null;
  extra: unknown;
}

export interface FiguresWire {
  min: number;
  max: number;
  mean: number;
  count: number;
}

export interface PointWire {
  at: string;
  battery: FiguresWire | null;
  solar_v: FiguresWire | null;
  solar_a: FiguresWire | null;
  water: FiguresWire | null;
  extra: Record<string, FiguresWire>;
}

export interface StatusWire {
  company_id: string;
  machine_id: string;
  /** What it reports; `online` where it reports none; `offline`; `stale`. */
  status: string;
  last_status: string | null;
  online: boolean;
  energy: number | null;
  water: number | null;
  area: number | null;
  received_at: string | null;
  since: string;
  last_seen: string | null;
}

export interface MachineWire extends StatusWire {
  telemetry: TelemetryWire | null;
}

export interface StatusChangeWire {
  status: string;
  previous_status: string | null;
  at: string;
  restarted: boolean;
}

export type SolarMessage =
  | { type: 'snapshot'; data: { machines: MachineWire[] } }
  | { type: 'telemetry'; company_id: string; machine_id: string; data: TelemetryWire }
  | {
      type: 'status';
      company_id: string;
      machine_id: string;
      /** With the fields of a change where the shown status became another. */
      data: StatusWire & Partial<StatusChangeWire>;
    };

export interface OffersWire {
  /** Nothing was set: every command is taken. */
  any: boolean;
  items: { command: string; params: Record<string, unknown> }[];
}

export type CommandStatus = 'PENDING' | 'SENT' | 'COMPLETED' | 'FAILED';

export interface SentWire {
  command_id: string;
  status: CommandStatus;
  message?: string;
}
