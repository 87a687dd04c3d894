"""Every layer at the node with the shortest queue: the benchmark `greedy-shortest-queue`, as an agent of 20 lines."""

import veclab


class ShortestQueue(veclab.Agent):
    def decide(self, situation):
        actions = []
        for client in range(self.scenario.clients):
            backlogs = situation.edge_backlogs(client)
            reach = situation.reach[client]
            # The RSU is always in reach; of equal queues the first.
            best = 0
            for node in range(1, self.scenario.nodes):
                if reach[node] and backlogs[node] < backlogs[best]:
                    best = node
            actions.append(self.scenario.action(cut=0, node=best))
        return actions


if __name__ == "__main__":
    veclab.serve(ShortestQueue)
