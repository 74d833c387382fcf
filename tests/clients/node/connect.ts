// Places orders by what buf generates of the contract's image, and says how it went as JSON.
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { OrderService } from "./gen/backroom/commerce/v1/order_service_pb.js";
import { OrderState } from "./gen/backroom/commerce/v1/orders_pb.js";
import { ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";

const { BACKROOM_URL: baseUrl = "", BACKROOM_TOKEN: token = "" } = process.env;
const transport = createGrpcTransport({
  baseUrl,
  interceptors: [
    (next) => (request) => {
      request.header.set("authorization", `Bearer ${token}`);
      return next(request);
    },
  ],
});
const orders = createClient(OrderService, transport);
const lines = [{ sku: "TEA", quantity: 2n }];

async function refusal(call: Promise<unknown>) {
  try {
    await call;
  } catch (error) {
    const refused = ConnectError.from(error);
    const [info] = refused.findDetails(ErrorInfoSchema);
    return { code: Code[refused.code], message: refused.rawMessage, reason: info?.reason };
  }
  throw new Error("the call was not refused");
}

async function* stream() {
  yield { order: { lines } };
  yield { order: { lines: [{ sku: "NONE", quantity: 1n }] } };
}

const { order } = await orders.placeOrder({ reference: "connect", lines });
const outcomes: (string | undefined)[] = [];
for await (const answer of orders.placeOrders(stream())) {
  outcomes.push(answer.outcome.case);
}
console.log(
  JSON.stringify({
    reference: order?.reference,
    state: order && OrderState[order.state],
    units: order?.total?.units.toString(),
    outcomes,
    refused: await refusal(orders.getOrder({ orderId: "42" })),
  }),
);
